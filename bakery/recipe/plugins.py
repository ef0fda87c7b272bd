"""The options of builders and provisioners: Packer refuses others, and only in the bake.

Sources: the functions ``HCL2Spec`` of the plugins that bakes on Google Cloud use: ``builder/googlecompute`` and
``lib/common`` of the version that ``tools/googlecompute`` pins, ``builder/qemu`` of packer-plugin-qemu 1.1, and the
provisioners of Packer 1.6 to 1.16 with packer-plugin-sdk. A test of ``make test-slow`` compares those of googlecompute,
and the table of tests that drives Packer those of the provisioners.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bakery.recipe.templating import BAKED, GOOGLE_BUILDER

VERSION = "1.2.5"  # of the googlecompute plugin


class Plugin(NamedTuple):
    """The names of a plugin's options. ``blocks`` are those that HCL2 writes as blocks, each with options of its own.

    ``mappings`` are the options whose value is a mapping; ``version`` says which plugin has been read.
    """

    version: str
    options: frozenset[str]
    blocks: Mapping[str, Plugin]
    mappings: frozenset[str] = frozenset()


_CONNECTION = """
communicator pause_before_connecting ssh_agent_auth ssh_bastion_agent_auth ssh_bastion_certificate_file ssh_bastion_host
ssh_bastion_interactive ssh_bastion_password ssh_bastion_port ssh_bastion_private_key_file ssh_bastion_username
ssh_certificate_file ssh_ciphers ssh_clear_authorized_keys ssh_disable_agent_forwarding ssh_file_transfer_method
ssh_handshake_attempts ssh_host ssh_keep_alive_interval ssh_key_exchange_algorithms ssh_keypair_name
ssh_local_tunnels ssh_password ssh_port ssh_private_key ssh_private_key_file ssh_proxy_host ssh_proxy_password
ssh_proxy_port ssh_proxy_username ssh_pty ssh_public_key ssh_read_write_timeout ssh_remote_tunnels ssh_timeout
ssh_username ssh_wait_timeout temporary_key_pair_bits temporary_key_pair_name temporary_key_pair_type winrm_host
winrm_insecure winrm_no_proxy winrm_password winrm_port winrm_timeout winrm_use_ntlm winrm_use_ssl winrm_username
"""
_GOOGLECOMPUTE = """
accelerator_count accelerator_type access_token account_file address credentials_file credentials_json
custom_endpoints delete_at deprecate_at disable_default_service_account disk_name
disk_size disk_type enable_integrity_monitoring enable_nested_virtualization enable_secure_boot enable_vtpm iap_ext
iap_hashbang iap_localhost_port iap_tunnel_launch_wait image_architecture image_description
image_family image_forbidden_signatures_db image_guest_os_features image_key_exchange_key image_labels image_licenses
image_name image_platform_key image_project_id image_signatures_db image_storage_locations
impersonate_service_account instance_name instance_termination_action labels machine_type max_run_duration_in_seconds
metadata metadata_files min_cpu_platform network network_ip network_project_id obsolete_at
omit_external_ip on_host_maintenance oslogin_ssh_key_expire_after oslogin_ssh_username preemptible project_id region
scopes service_account_email skip_create_image source_image source_image_family source_image_project_id
startup_script_file state_timeout subnetwork tags universe_domain use_iap use_internal_ip use_os_login
vault_gcp_oauth_engine wait_to_add_ssh_keys windows_password_timeout wrap_startup_script zone
"""
_DISK = """
attachment_mode create_image device_name disk_name interface_type iops keep_device replica_zones source_image
source_volume volume_size volume_type
"""
_QEMU = """
accelerator boot_command boot_key_interval boot_keygroup_interval boot_steps boot_wait cd_content cd_files cd_label
cdrom_interface cores cpu_model cpus disable_vnc disk_additional_size disk_cache disk_compression
disk_detect_zeroes disk_discard disk_image disk_interface disk_size display efi_boot efi_drop_efivars
efi_firmware_code efi_firmware_vars firmware floppy_content floppy_dirs floppy_files floppy_label format headless
host_port_max host_port_min http_bind_address http_content http_directory http_interface http_network_protocol
http_port_max http_port_min iso_checksum iso_skip_cache iso_target_extension iso_target_path iso_url iso_urls
machine_type memory net_bridge net_device output_directory qemu_binary qemuargs qmp_enable qmp_socket_path run_once
shutdown_command shutdown_timeout skip_compaction skip_nat_mapping skip_resize_disk sockets ssh_host_port_max
ssh_host_port_min threads use_backing_file use_default_display use_pflash use_tpm1 vga vm_name vnc_bind_address
vnc_password vnc_port_max vnc_port_min vnc_use_password vtpm tpm_device_type
"""
_OF_BUILDERS = "name type"  # of a JSON template, in which they are beside the options
_OF_ALL = "continue_on_error except max_retries only override pause_before timeout type"  # of provisioners
# What shell and shell-local take as a list; from JSON Packer takes a single text, too.
SHELL_LISTS = frozenset({"environment_vars", "inline", "scripts"})
_SCRIPT = """
env env_var_format environment_vars execute_command inline inline_shebang script scripts valid_exit_codes
"""
_PROVISIONERS = {
    "breakpoint": "disable note",
    "file": "content destination direction generated source sources",
    "shell": f"""{_SCRIPT} binary expect_disconnect pause_after remote_file remote_folder remote_path skip_clean
        start_retry_timeout use_env_var_file""",
    "shell-local": f"{_SCRIPT} command only_on tempfile_extension use_linux_pathing",
    "sleep": "duration",
}


def _names(*texts: str) -> frozenset[str]:
    return frozenset(name for text in texts for name in text.split())


def _blocks(version: str, **blocks: str) -> dict[str, Plugin]:
    return {name: Plugin(version, _names(options), {}) for name, options in blocks.items()}


_OF_GOOGLE = f"in version {VERSION} of its plugin"
_KEY = _blocks(_OF_GOOGLE, disk_encryption_key="kmsKeyName rawKey", image_encryption_key="kmsKeyName rawKey")
_IN_DISK = {name: plugin for name, plugin in _KEY.items() if name == "disk_encryption_key"}
_IN_QEMU = _blocks("in its plugin", qemu_img_args="convert create resize")
_MAPPINGS = frozenset({"custom_endpoints", "image_labels", "labels", "metadata", "metadata_files"})
BUILDERS: Mapping[str, Plugin] = {
    GOOGLE_BUILDER: Plugin(
        _OF_GOOGLE,
        _names(_CONNECTION, _GOOGLECOMPUTE, _OF_BUILDERS),
        {
            **_KEY,
            **_blocks(_OF_GOOGLE, node_affinity="key operator values"),
            "disk_attachment": Plugin(_OF_GOOGLE, _names(_DISK), _IN_DISK),
        },
        _MAPPINGS,
    ),
    BAKED[1]: Plugin("in its plugin", _names(_CONNECTION, _QEMU, _OF_BUILDERS), _IN_QEMU),
}
PROVISIONERS: Mapping[str, Plugin] = {
    kind: Plugin("in Packer", _names(options, _OF_ALL), {}) for kind, options in _PROVISIONERS.items()
}
# Of which the options are not known: those that Packer 1.6 had, and those of plugins in HashiCorp's list.
OTHER_PROVISIONERS = _names(
    "ansible ansible-local chef-client chef-solo converge goss hcp-sbom inspec powershell puppet-masterless",
    "puppet-server salt-masterless windows-restart windows-shell windows-update",
)
