import type { ItemFlag } from '../../../src-main/contract/api.ts';
import { t } from '../../messages.ts';

/** The quality filters, in the order of the texts. */
export const itemFlagList = Object.keys(t.flags) as ItemFlag[];
