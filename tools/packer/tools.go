//go:build tools

// Package tools pins Packer for `make test-slow`; go-cty is the one that Packer's own go.mod takes in its place.
package tools

import _ "github.com/hashicorp/packer"
