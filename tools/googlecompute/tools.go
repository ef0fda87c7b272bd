//go:build tools

// Package tools pins Packer's plugin for Compute Engine, in the version that bakes on Google Cloud use.
package tools

import _ "github.com/hashicorp/packer-plugin-googlecompute"
