"""Packer's qemu plugin, which Packer 1.10 and newer come without."""

PLUGIN, VERSION = "github.com/hashicorp/qemu", "v1.1.0"
