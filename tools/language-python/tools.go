//go:build tools

// Package tools pins the last release of the Python language host that is a Go module of its own.
package tools

import _ "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
