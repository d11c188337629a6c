export { bootableGuests, guestDirectory, guestFiles } from './bootable-guests.ts';
export { defaultModelShape, formatHostAddress, parseHostAddress, type HostAddressProblem } from './host-address.ts';
export { ModelDriver } from './model/model-driver.ts';
export { ModelHost, type ModelOperation } from './model/model-host.ts';
export { openHost } from './open-host.ts';
export { xlConfigText } from './xl/domain-config.ts';
