/** xenolithd killed with -9 at every point of a start and of a suspend on real Xen. */
import { describeKills } from '../lab/manager-kills.ts';

describeKills({ create: ['before', 'midway', 'done'], save: ['before', 'midway', 'done', 'named'] });
