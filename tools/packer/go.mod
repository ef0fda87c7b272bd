module bakery.local/tools/packer

go 1.25.11

require github.com/hashicorp/packer v1.15.1

replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
