import { rect } from '../pen.ts';
import type { Part } from '../pen.ts';
import type { Random } from '../random.ts';
import type { Ground, Scene } from '../scene.ts';
import { litNear } from './light.ts';

const colours: Readonly<Record<Ground, readonly [top: string, low: string]>> = {
  meadow: ['#84c94a', '#4c9a34'],
  desert: ['#f0d083', '#dba650'],
  snow: ['#f4f8fd', '#cfdfef'],
  sea: ['#2f86c9', '#175a9c'],
  beach: ['#f4e0a6', '#e6c476'],
  road: ['#84c94a', '#4c9a34'],
};

/** Everything wide reaches past the picture's edges, so that styles with outlines draw none along them. */
const [farLeft, farRight, below] = [-8, 72, 72];

function wave(x: number, y: number): string {
  return `M${x} ${y} Q${x + 3.5} ${y - 3} ${x + 7} ${y} Q${x + 10.5} ${y - 3} ${x + 14} ${y}`;
}

/** The white edge of the water on a beach whose horizon lies at `y`. */
function surf(y: number): string {
  const upper = `M${farLeft} ${y + 7} Q16 ${y + 5} 32 ${y + 7} Q48 ${y + 9} ${farRight} ${y + 6.5}`;
  const lower = `L${farRight} ${y + 8.5} Q48 ${y + 11} 32 ${y + 9} Q16 ${y + 7} ${farLeft} ${y + 9} Z`;
  return `${upper} ${lower}`;
}

/** A swelling of the ground in the foreground. */
function rise(y: number): string {
  const crest = `M${farLeft} ${y + 13} Q20 ${y + 7} 40 ${y + 13} Q54 ${y + 17} ${farRight} ${y + 13}`;
  return `${crest} L${farRight} ${below} L${farLeft} ${below} Z`;
}

const risesOn: Readonly<Partial<Record<Ground, string>>> = { meadow: '#68b53f', desert: '#e2b566', snow: '#dbe7f4' };

/** The ground from the horizon to the lower edge. */
export function groundParts(scene: Scene, horizon: number, random: Random): Part[] {
  const { ground, sky } = scene;
  const [top, low] = colours[ground];
  const bow = random.between(0.5, 2.5);
  const flat = rect(farLeft, horizon, farRight - farLeft, below - horizon);
  const bowed =
    `M${farLeft} ${horizon + bow} Q32 ${horizon - bow * 1.4} ${farRight} ${horizon + bow} ` +
    `L${farRight} ${below} L${farLeft} ${below} Z`;
  const risen = risesOn[ground];
  const path = risen === undefined ? flat : bowed;
  const parts: Part[] = [{ role: 'ground', colour: litNear(top, sky), toColour: litNear(low, sky), path }];
  const add = (colour: string, path: string): void =>
    void parts.push({ role: 'ground', colour: litNear(colour, sky), path });

  if (risen !== undefined) add(risen, rise(horizon));
  if (ground === 'sea') {
    const addWave = (x: number, y: number): void =>
      void parts.push({ role: 'detail', colour: litNear('#a9dcf6', sky), line: 1.4, path: wave(x, y) });
    for (let y = horizon + 6; y < 64; y += 8) {
      addWave(random.between(2, 14), y);
      addWave(random.between(34, 46), y + 3);
    }
  } else if (ground === 'beach') {
    add('#2f86c9', rect(farLeft, horizon, farRight - farLeft, 7));
    add('#d8f0f8', surf(horizon));
  } else if (ground === 'road') {
    add('#5c5f68', rect(farLeft, horizon + 8, farRight - farLeft, 14));
    const start = random.between(-8, 0);
    add('#f4f2e8', Array.from({ length: 6 }, (_, i) => rect(start + i * 14, horizon + 14, 8, 1.8)).join(' '));
  }
  return parts;
}
