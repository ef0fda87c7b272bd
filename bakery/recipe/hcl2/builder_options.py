"""The options that sources know, by their type: Packer refuses others in HCL2, and only in the bake.

Source: ``HCL2Spec`` in ``builder/googlecompute/config.hcl2spec.go`` of the plugin that bakes on Google Cloud use, which
``tools/googlecompute`` pins. A test of ``make test-slow`` compares the names with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from bakery.recipe.parse import Findings, Where
from bakery.recipe.templating import GOOGLE_BUILDER

VERSION = "1.2.5"
_GOOGLECOMPUTE = """
accelerator_count accelerator_type access_token account_file address communicator credentials_file credentials_json
custom_endpoints delete_at deprecate_at disable_default_service_account disk_attachment disk_encryption_key disk_name
disk_size disk_type enable_integrity_monitoring enable_nested_virtualization enable_secure_boot enable_vtpm iap_ext
iap_hashbang iap_localhost_port iap_tunnel_launch_wait image_architecture image_description image_encryption_key
image_family image_forbidden_signatures_db image_guest_os_features image_key_exchange_key image_labels image_licenses
image_name image_platform_key image_project_id image_signatures_db image_storage_locations
impersonate_service_account instance_name instance_termination_action labels machine_type max_run_duration_in_seconds
metadata metadata_files min_cpu_platform network network_ip network_project_id node_affinity obsolete_at
omit_external_ip on_host_maintenance oslogin_ssh_key_expire_after oslogin_ssh_username pause_before_connecting
preemptible project_id region scopes service_account_email skip_create_image source_image source_image_family
source_image_project_id ssh_agent_auth ssh_bastion_agent_auth ssh_bastion_certificate_file ssh_bastion_host
ssh_bastion_interactive ssh_bastion_password ssh_bastion_port ssh_bastion_private_key_file ssh_bastion_username
ssh_certificate_file ssh_ciphers ssh_clear_authorized_keys ssh_disable_agent_forwarding ssh_file_transfer_method
ssh_handshake_attempts ssh_host ssh_keep_alive_interval ssh_key_exchange_algorithms ssh_keypair_name
ssh_local_tunnels ssh_password ssh_port ssh_private_key ssh_private_key_file ssh_proxy_host ssh_proxy_password
ssh_proxy_port ssh_proxy_username ssh_pty ssh_public_key ssh_read_write_timeout ssh_remote_tunnels ssh_timeout
ssh_username ssh_wait_timeout startup_script_file state_timeout subnetwork tags temporary_key_pair_bits
temporary_key_pair_name temporary_key_pair_type universe_domain use_iap use_internal_ip use_os_login
vault_gcp_oauth_engine wait_to_add_ssh_keys windows_password_timeout winrm_host winrm_insecure winrm_no_proxy
winrm_password winrm_port winrm_timeout winrm_use_ntlm winrm_use_ssl winrm_username wrap_startup_script zone
"""
OPTIONS: Mapping[str, frozenset[str]] = {GOOGLE_BUILDER: frozenset(_GOOGLECOMPUTE.split())}


def check(kind: str, options: Mapping[str, object], lines: Mapping[Where, tuple[str, int]], findings: Findings) -> None:
    """Warn about options of the source that its plugin does not know; ``lines`` has file and line of each."""
    known = OPTIONS.get(kind)
    for name in options if known else ():
        if known and name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"write {near[0]}, or remove it" if near else "remove it, or see the reference of the plugin"
            file, line = lines["builders", 0, name]
            message = f"{kind} has no option {name} in version {VERSION} of its plugin: Packer refuses the template"
            findings.at(file).warn(line, message, hint)
