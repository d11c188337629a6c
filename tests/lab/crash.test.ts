/** xenolithd killed with -9 at the points where most is half done; `npm run soak -- lab` kills it at every one. */
import { describeKills } from './manager-kills.ts';

describeKills({ create: ['midway'], save: ['midway', 'named'] });
