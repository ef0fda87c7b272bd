module bakery.local/tools/googlecompute

go 1.25.11

require github.com/hashicorp/packer-plugin-googlecompute v1.2.5

replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
