//go:build tools

// Package tools pins actionlint for `make test-slow`.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
