// What an exported file can hold.

export const exportKinds = ['dora', 'lora', 'merged', 'diff'] as const;
export type ExportKind = (typeof exportKinds)[number];

/** A DoRA needs a few times its rank as a plain LoRA. */
export const RANKS_OF_DORA = 4;

/** The adapter as it was trained; its nearest plain low-rank form; the whole model; whole differences of its weights. */
export const EXPORT = { asItIs: 'dora', plain: 'lora', merged: 'merged', differences: 'diff' } as const satisfies Record<string, ExportKind>;
