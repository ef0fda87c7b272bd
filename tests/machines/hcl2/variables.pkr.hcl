variable "project_id" {
  type    = string
  default = ""
}
variable "zone" {
  type    = string
  default = "us-central1-a"
}
variable "subnet" {
  type    = string
  default = "default"
}
variable "machine_type" {
  type    = string
  default = "n2-standard-4"
}
variable "source_image_family" {
  type    = string
  default = "rcc-debian"
}
variable "source_image_project" {
  type    = string
  default = ""
}
variable "image_name" {
  type    = string
  default = "hpcc"
}
variable "image_family" {
  type    = string
  default = "hpcc"
}
variable "install_root" {
  type    = string
  default = "/opt"
}
variable "pkg_path" {
  type    = string
  default = "packages/hpcc"
}
variable "common_path" {
  type    = string
  default = "common"
}
