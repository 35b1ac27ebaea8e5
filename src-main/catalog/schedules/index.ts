export function rateFactor(kind: string, step: number, total: number, warmup: number, _settings: unknown): number {
  if (step < warmup) return (step + 1) / warmup;
  if (kind === 'cosine') return 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / (total - warmup)));
  return 1;
}
export const schedules = {};
