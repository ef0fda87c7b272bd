//go:build tools

// Package tools pins the Pulumi engine for machines that have no `pulumi`.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
