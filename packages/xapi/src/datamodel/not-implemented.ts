/**
 * Why a call answers NOT_IMPLEMENTED: one table, read by the coverage page and by its test, so that no call is left
 * without a word and no call that works is called missing. A class has one reason for all of its calls that have none
 * of their own (`*`), so a call that is built needs no change here unless it is named.
 */
import { methods, type Method } from './registry.ts';

const later = 'not built yet';
const noHa = 'there is no high availability: nobody restarts the VMs of a host that failed';
const noWlb = 'there is no workload balancing server to ask';
const patching = "updates are the distribution's package manager's";
const oneManager = 'one manager holds the pool; its hosts are added with host.add and need no XAPI of their own';
const noActiveDirectory = 'no Active Directory is built in';
const noCertificates = 'the certificate is a file of the data directory, and hosts are known by their SSH keys';
const noGpu = 'graphics cards are not handed to guests here';
const noUsb = 'USB devices are not handed to guests here';
const noPvs = 'there is no provisioning-services cache';
const noClustering = 'there is no cluster of hosts (GFS2)';
const noTraces = 'nothing is traced';
const noRates = 'calls are not limited by rate; their number at once is bounded';
const hostSystem = "the host's own operating system is its administrator's";
const ownWay = 'a host is reached by the address that it was added with; the interface that has it is never touched';
const noRedoLog = 'the database is durable at every answer by itself';
const noCache = 'there is no IntelliCache';
const deprecated = 'deprecated in XAPI, which has no use for it either';
const noLicence = 'it is free software: there is no licence to add';
const noRecords = 'figures are told as they are now; none are kept over time';
const onePort = 'HTTP and TLS share one port';
const fixedLogins = 'logins take turns, four at a time, and a right password is remembered: neither can be set';
const internal = 'a call between the XAPIs of a pool; here one manager drives all hosts';

/** Reasons by class and call. */
export const notImplementedReasons: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  session: {
    '*': later,
    slave_login: oneManager,
    slave_local_login: oneManager,
    create_from_db_file: 'a database is looked at by starting a server on a copy of it',
  },
  pool: {
    '*': later,
    join: oneManager,
    join_force: oneManager,
    eject: oneManager,
    initial_auth: oneManager,
    hello: oneManager,
    emergency_transition_to_master: oneManager,
    emergency_reset_master: oneManager,
    recover_slaves: oneManager,
    designate_new_master: oneManager,
    rotate_secret: oneManager,
    enable_ha: noHa,
    disable_ha: noHa,
    ha_prevent_restarts_for: noHa,
    ha_failover_plan_exists: noHa,
    ha_compute_max_host_failures_to_tolerate: noHa,
    ha_compute_hypothetical_max_host_failures_to_tolerate: noHa,
    ha_compute_vm_failover_plan: noHa,
    set_ha_host_failures_to_tolerate: noHa,
    initialize_wlb: noWlb,
    deconfigure_wlb: noWlb,
    send_wlb_configuration: noWlb,
    retrieve_wlb_configuration: noWlb,
    retrieve_wlb_recommendations: noWlb,
    external_auth_set_ldaps: noActiveDirectory,
    exchange_certificates_on_join: noCertificates,
    exchange_ca_certificates_on_join: noCertificates,
    exchange_trusted_certificates_on_join: noCertificates,
    exchange_crls_on_join: noCertificates,
    certificate_install: noCertificates,
    certificate_uninstall: noCertificates,
    certificate_list: noCertificates,
    certificate_sync: noCertificates,
    install_ca_certificate: noCertificates,
    uninstall_ca_certificate: noCertificates,
    install_trusted_certificate: noCertificates,
    uninstall_trusted_certificate: noCertificates,
    sync_trusted_certificates_from: noCertificates,
    crl_install: noCertificates,
    crl_uninstall: noCertificates,
    crl_list: noCertificates,
    enable_tls_verification: noCertificates,
    enable_client_certificate_auth: noCertificates,
    disable_client_certificate_auth: noCertificates,
    enable_redo_log: noRedoLog,
    disable_redo_log: noRedoLog,
    enable_binary_storage: deprecated,
    disable_binary_storage: deprecated,
    enable_local_storage_caching: noCache,
    disable_local_storage_caching: noCache,
    set_repositories: patching,
    add_repository: patching,
    remove_repository: patching,
    sync_updates: patching,
    check_update_readiness: patching,
    configure_repository_proxy: patching,
    disable_repository_proxy: patching,
    configure_update_sync: patching,
    set_update_sync_enabled: patching,
    management_reconfigure: ownWay,
    send_test_post: 'nothing is sent to anybody',
    set_igmp_snooping_enabled: 'networks are bridges of Linux; there is no virtual switch to control',
    add_to_guest_agent_config: 'there is no agent in guests that would read it',
    remove_from_guest_agent_config: 'there is no agent in guests that would read it',
    set_https_only: onePort,
    set_local_auth_max_threads: fixedLogins,
    set_ext_auth_max_threads: fixedLogins,
    set_ext_auth_cache_enabled: fixedLogins,
    set_ext_auth_cache_size: fixedLogins,
    set_ext_auth_cache_expiry: fixedLogins,
    set_vswitch_controller: 'networks are bridges of Linux; there is no virtual switch to control',
    test_archive_target: 'VM protection policies are gone from XAPI',
    set_uefi_certificates: 'guests with UEFI are not supported',
    set_custom_uefi_certificates: 'guests with UEFI are not supported',
    get_guest_secureboot_readiness: 'guests with UEFI are not supported',
    set_telemetry_next_collection: 'nothing is collected',
    reset_telemetry_uuid: 'nothing is collected',
    enable_ssh: hostSystem,
    disable_ssh: hostSystem,
    set_ssh_enabled_timeout: hostSystem,
    set_ssh_auto_mode: hostSystem,
    set_console_idle_timeout: hostSystem,
  },
  pool_patch: { '*': patching },
  pool_update: { '*': patching },
  host_patch: { '*': patching },
  Repository: { '*': patching },
  VM: {
    '*': later,
    s3_suspend: 'Xen suspends to a file; sleep inside of a guest is not steered',
    s3_resume: 'Xen suspends to a file; sleep inside of a guest is not steered',
    assert_can_be_recovered: 'there is no disaster recovery from replicated storage',
    get_SRs_required_for_recovery: 'there is no disaster recovery from replicated storage',
    recover: 'there is no disaster recovery from replicated storage',
    import_convert: 'there is no conversion server',
    set_NVRAM_EFI_variables: 'guests with UEFI are not supported',
    set_uefi_mode: 'guests with UEFI are not supported',
    get_secureboot_readiness: 'guests with UEFI are not supported',
    update_secureboot_certificates_on_boot: 'guests with UEFI are not supported',
    set_HVM_shadow_multiplier: 'HVM guests are not supported',
    set_shadow_multiplier_live: 'HVM guests are not supported',
    restart_device_models: 'HVM guests are not supported',
    sysprep: 'there is no agent in guests that would do it',
    call_plugin: 'there is no agent in guests that would do it',
    query_services: 'there are no services of drivers to ask',
    csvm: deprecated,
    update_snapshot_metadata: deprecated,
    set_suspend_VDI: 'the memory image of a suspended VM is not exchanged for another',
    pool_migrate_complete: internal,
    record_data_source: noRecords,
    forget_data_source_archives: noRecords,
    call_host_plugin: 'plug-ins of hosts are not called for a guest',
  },
  VM_appliance: { '*': 'there is no disaster recovery from replicated storage' },
  DR_task: { '*': 'there is no disaster recovery from replicated storage' },
  host: {
    '*': later,
    create: 'hosts come with host.add, which looks at them',
    emergency_ha_disable: noHa,
    ha_xapi_healthcheck: noHa,
    enable_external_auth: 'pool.enable_external_auth is for all hosts at once',
    disable_external_auth: 'pool.disable_external_auth is for all hosts at once',
    external_auth_set_ldaps: noActiveDirectory,
    retrieve_wlb_evacuate_recommendations: noWlb,
    refresh_server_certificate: noCertificates,
    install_server_certificate: noCertificates,
    emergency_reset_server_certificate: noCertificates,
    reset_server_certificate: noCertificates,
    emergency_disable_tls_verification: noCertificates,
    emergency_reenable_tls_verification: noCertificates,
    get_server_certificate: noCertificates,
    notify_accept_new_pool_secret: oneManager,
    notify_send_new_pool_secret: oneManager,
    cleanup_pool_secret: oneManager,
    get_log: 'not implemented in XAPI either',
    license_add: noLicence,
    license_remove: noLicence,
    syslog_reconfigure: hostSystem,
    management_reconfigure: ownWay,
    management_disable: ownWay,
    set_hostname_live: hostSystem,
    restart_agent: 'a host has no agent: the manager reaches it over SSH',
    get_system_status_capabilities: 'there is no status report',
    record_data_source: noRecords,
    forget_data_source_archives: noRecords,
    backup_rrds: noRecords,
    sync_data: noRecords,
    set_iscsi_iqn: 'repositories on iSCSI are not built in',
    set_https_only: onePort,
    prepare_for_poweroff: internal,
    shutdown_agent: 'a host has no agent: the manager reaches it over SSH',
    local_management_reconfigure: ownWay,
    reset_networking: hostSystem,
    apply_updates: patching,
    refresh_pack_info: patching,
    emergency_clear_mandatory_guidance: patching,
    rescan_drivers: patching,
    get_sm_diagnostics: 'there are no storage plug-ins with state of their own',
    sm_dp_destroy: 'there are no storage plug-ins with state of their own',
    get_thread_diagnostics: 'the server has one thread',
    get_diagnostic_timing_stats: 'the server keeps no such figures',
    enable_local_storage_caching: noCache,
    disable_local_storage_caching: noCache,
    enable_display: "dom0's graphics card is not hidden from it",
    disable_display: "dom0's graphics card is not hidden from it",
    apply_guest_agent_config: 'there is no agent in guests that would read it',
    allocate_resources_for_vm: internal,
    set_uefi_certificates: 'guests with UEFI are not supported',
    bugreport_upload: 'nothing is sent to anybody',
    set_multipathing: hostSystem,
    enable_ssh: hostSystem,
    disable_ssh: hostSystem,
    set_ssh_enabled_timeout: hostSystem,
    set_ssh_auto_mode: hostSystem,
    set_console_idle_timeout: hostSystem,
    set_max_cstate: hostSystem,
    set_ntp_mode: hostSystem,
    set_ntp_custom_servers: hostSystem,
    get_ntp_servers_status: hostSystem,
    set_timezone: hostSystem,
    list_timezones: hostSystem,
    get_ntp_synchronized: hostSystem,
    set_servertime: hostSystem,
  },
  host_crashdump: { '*': 'crashes of hosts are not collected' },
  crashdump: { '*': 'crashes of VMs are not kept in disks' },
  VIF: {
    '*': 'tagged trunks need a virtual switch, networks are bridges of Linux',
    configure_ipv4: 'guests are told their addresses by their network or by cloud-init',
    configure_ipv6: 'guests are told their addresses by their network or by cloud-init',
  },
  PIF: {
    '*': 'what a card computes itself (gro) is set on its host',
    pool_introduce: internal,
    db_introduce: 'PIF.introduce and PIF.scan ask the host',
    db_forget: 'PIF.forget does it',
  },
  VLAN: { '*': internal },
  SR: {
    '*': 'no figures of repositories are looked at but those in their records',
    make: deprecated,
  },
  LVHD: { '*': 'repositories on LVM are not built in' },
  VDI: {
    '*': later,
    open_database: noRedoLog,
    read_database_pool_uuid: noRedoLog,
    set_allow_caching: noCache,
    generate_config: 'there are no storage plug-ins with a configuration of their own',
    force_unlock: deprecated,
    db_introduce: internal,
    db_forget: internal,
    set_managed: 'what is not managed is being made or removed',
    set_cbt_enabled: internal,
  },
  VBD: { '*': 'what writes to a disk is stopped by unplugging it or pausing the VM' },
  VTPM: { '*': 'there is no virtual TPM' },
  console: { '*': 'consoles come and go with their VMs' },
  tunnel: { '*': 'tunnels need Open vSwitch; networks are bridges of Linux' },
  network_sriov: { '*': 'devices are not handed to guests here' },
  PCI: { '*': 'devices are not handed to guests here' },
  PGPU: { '*': noGpu },
  GPU_group: { '*': noGpu },
  VGPU: { '*': noGpu },
  PVS_site: { '*': noPvs },
  PVS_server: { '*': noPvs },
  PVS_proxy: { '*': noPvs },
  PVS_cache_storage: { '*': noPvs },
  SDN_controller: { '*': 'networks are bridges of Linux; there is no virtual switch to control' },
  PUSB: { '*': noUsb },
  USB_group: { '*': noUsb },
  VUSB: { '*': noUsb },
  Cluster: { '*': noClustering },
  Cluster_host: { '*': noClustering },
  Diagnostics: { '*': 'what it would show is of the OCaml runtime' },
  Observer: { '*': noTraces },
  Host_driver: { '*': patching },
  Driver_variant: { '*': patching },
  Caller: { '*': noRates },
  Rate_limit: { '*': noRates },
};

/** Calls that work on hosts of one driver only; on the others they answer NOT_IMPLEMENTED. All others work on both. */
export const onlyOn: Readonly<Record<string, 'model' | 'xl'>> = {};

/** The reason why a call without behaviour has none; undefined when the table has no word for it. */
export function notImplementedReason({ className, name, poolInternal }: Method): string | undefined {
  if (poolInternal) return internal;
  const ofClass = notImplementedReasons[className] ?? {};
  return Object.hasOwn(ofClass, name) ? ofClass[name] : ofClass['*'];
}

/** Entries that name no call of the tables. */
export const strayReasons = (): readonly string[] =>
  Object.entries(notImplementedReasons)
    .flatMap(([className, calls]) => Object.keys(calls).map((name) => [className, name] as const))
    .filter(([className, name]) => name !== '*' && !methods().has(`${className}.${name}`))
    .map((names) => names.join('.'));
