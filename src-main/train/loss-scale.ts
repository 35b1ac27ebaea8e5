// Dynamic loss scaling for f16: the loss is multiplied by a power of two that halves when a gradient overflows and
// doubles after a long quiet time (Micikevicius et al. 2018, section 3.2).

const START = 2 ** 14;
const GROW_AFTER = 500;

export class LossScale {
  private readonly isOn: boolean;
  private factor: number;
  private quiet: number;

  /** @param saved factor and good steps of a checkpoint; 0 starts anew */
  constructor(isOn: boolean, saved: number, goodSteps: number) {
    this.isOn = isOn;
    this.factor = isOn ? saved || START : 1;
    this.quiet = goodSteps;
  }

  get value(): number {
    return this.factor;
  }

  get goodSteps(): number {
    return this.quiet;
  }

  /** Tells how the last step went. */
  note(wasFinite: boolean): void {
    if (!this.isOn) return;
    if (!wasFinite) {
      this.factor = Math.max(1, this.factor / 2);
      this.quiet = 0;
    } else if (++this.quiet >= GROW_AFTER) {
      this.factor = Math.min(2 ** 24, this.factor * 2);
      this.quiet = 0;
    }
  }
}
