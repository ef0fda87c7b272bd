# How Cluster Toolkit's Slurm modules take an image.
variable "instance_image" {
  type = map(string)
  default = {
    family  = "slurm-example"
    project = "example-public"
  }
}

variable "instance_image_custom" {
  type    = bool
  default = false
}
