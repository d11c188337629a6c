/** What a client gives to create, every required member of it. */
import type { WireValue } from '@xenolith/wire';

type Fields = Readonly<Record<string, WireValue>>;

export const newDisk = (SR: string, virtual_size: number, more: Fields = {}): Fields => ({
  SR,
  virtual_size,
  type: 'user',
  sharable: false,
  read_only: false,
  other_config: {},
  ...more,
});

export const newDevice = (VM: string, VDI: string, userdevice: string, more: Fields = {}): Fields => ({
  VM,
  VDI,
  userdevice,
  bootable: false,
  mode: 'RW',
  type: 'Disk',
  empty: false,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
  ...more,
});

export const newInterface = (VM: string, network: string, device: string, more: Fields = {}): Fields => ({
  VM,
  network,
  device,
  MAC: '',
  MTU: 0,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
  ...more,
});
