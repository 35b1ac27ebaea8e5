// What the demo found out: the contents of its summary.json.

export interface DemoFile {
  /** Relative to the folder of the demo. */
  readonly path: string;
  readonly bytes: number;
}

export interface DemoSummary {
  /** Every proof of learning holds. */
  readonly ok: boolean;
  readonly name: string;
  readonly adapter: string;
  /** Mean squared error on pictures that were not trained on, at noise and timesteps that are always the same. */
  readonly heldOut: {
    readonly pictures: number;
    readonly base: number | null;
    readonly adapter: number | null;
    /** Change from base to adapter; negative is better. */
    readonly percent: number | null;
    readonly course: readonly { readonly step: number; readonly loss: number | null }[];
  };
  readonly verdicts: readonly { readonly name: string; readonly ok: boolean; readonly text: string }[];
  readonly training: {
    readonly pictures: number;
    readonly steps: number;
    readonly batch: number;
    readonly learningRate: number;
    readonly rank: number;
    readonly targets: string;
    readonly optimizer: string;
    readonly parameters: number;
    readonly ofParameters: number;
    readonly secondsPerStep: number;
    /** Share of the training loop's time that is not spent in ONNX Runtime. */
    readonly shareOutsideRuntime: number;
  };
  /** Which vectors of a weight have magnitudes of their own; null for adapters without. */
  readonly axis: string | null;
  /** Share of the change that the plain LoRA (in place of magnitudes that a program does not apply) leaves out; null without one. */
  readonly approximationError: number | null;
  readonly analysis: {
    /** Of the change of magnitude (relative to each layer's own) with that of direction. */
    readonly correlation: number | null;
    readonly slope: number | null;
    readonly meanDirection: number;
    readonly meanRelativeMagnitude: number;
    readonly points: number;
  };
  /** By part of the demo, and `total`. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly peakMemoryBytes: number;
  readonly seeds: { readonly training: number; readonly pictures: readonly number[] };
  readonly prompts: readonly string[];
  readonly sampling: { readonly sampler: string; readonly steps: number; readonly guidance: number };
  readonly machine: { readonly device: string; readonly dtype: string; readonly system: string; readonly processor: string; readonly threads: number };
  readonly versions: Readonly<Record<string, string>>;
  readonly files: readonly DemoFile[];
}
