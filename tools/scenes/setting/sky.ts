import { circle, ellipse, rect } from '../pen.ts';
import type { Part, Role } from '../pen.ts';
import type { Random } from '../random.ts';
import type { Scene, Sky } from '../scene.ts';

const colours: Readonly<Record<Sky, readonly [top: string, low: string]>> = {
  day: ['#3f9bf0', '#bfe6fc'],
  sunset: ['#e2487c', '#ffc65c'],
  night: ['#10144a', '#343f92'],
  grey: ['#848e9b', '#c3cad1'],
  rain: ['#55616f', '#8896a4'],
  snowfall: ['#97abc2', '#d5e0ec'],
};

const rainbow = ['#e8433f', '#f6962d', '#f8dc3c', '#49b04c', '#3d6be0', '#8d4bc4'];

function cloud(x: number, y: number, size: number): string {
  return [
    circle(x - size * 0.55, y, size * 0.42),
    circle(x, y - size * 0.25, size * 0.58),
    circle(x + size * 0.6, y, size * 0.45),
    ellipse(x, y + size * 0.15, size, size * 0.3),
  ].join(' ');
}

function moon(x: number, y: number): string {
  const back = `M${x + 3} ${y - 8} C${x - 9} ${y - 9} ${x - 9} ${y + 9} ${x + 3} ${y + 8}`;
  return `${back} C${x - 3} ${y + 4} ${x - 3} ${y - 4} ${x + 3} ${y - 8} Z`;
}

function scatter(count: number, spot: () => string): string {
  return Array.from({ length: count }, spot).join(' ');
}

/** The sky down to the horizon with all that hangs in it, farthest first. */
export function skyParts(scene: Scene, horizon: number, random: Random): Part[] {
  const { sky, skyItem, subject } = scene;
  const [top, low] = colours[sky];
  const parts: Part[] = [{ role: 'sky', path: rect(0, 0, 64, horizon + 4), colour: top, toColour: low }];
  const add = (role: Role, colour: string, path: string): void => void parts.push({ role, colour, path });
  // Sun, moon and the bigger cloud keep to the side that the subject leaves free.
  const side = subject.place === 'middle' ? random.pick([-1, 1]) : subject.place === 'left' ? 1 : -1;
  const x = 32 + side * random.between(19, 22);
  const y = random.between(10, 13);

  if (sky === 'night') {
    const star = (): string =>
      circle(random.between(1, 63), random.between(1, horizon - 6), random.between(0.8, 1.15));
    add('speck', '#fff6c8', scatter(11, star));
  }
  if (skyItem === 'sun' && sky === 'sunset') add('light', '#fff0a0', circle(x, horizon - 7, 8));
  else if (skyItem === 'sun') add('light', '#ffdf3a', circle(x, y, 8));
  else if (skyItem === 'moon') add('light', '#fbf3c4', moon(x, y));
  else if (skyItem === 'clouds') {
    add('air', '#ffffff', cloud(x, y, 9));
    add('air', '#ffffff', cloud(32 - side * random.between(16, 24), random.between(6, 9), 6.5));
  } else if (skyItem === 'rainbow') {
    rainbow.forEach((colour, i) => {
      const reach = 34 - i * 2.1;
      const [left, right, foot, peak] = [32 - reach, 32 + reach, horizon + 2, horizon - reach * 1.3];
      const path = `M${left} ${foot} C${left} ${peak} ${right} ${peak} ${right} ${foot}`;
      parts.push({ role: 'air', colour, line: 2.3, path });
    });
  }
  if (sky === 'grey' || sky === 'rain') {
    for (const at of [8, 32, 56]) {
      const path = cloud(at + random.between(-3, 3), random.between(4, 8), random.between(8, 10));
      add('air', sky === 'grey' ? '#e4e8ec' : '#39434f', path);
    }
  }
  return parts;
}

/** What falls in front of everything: rain or snow. */
export function weatherParts(scene: Scene, random: Random): Part[] {
  if (scene.sky === 'rain') {
    return Array.from({ length: 18 }, () => {
      const [x, y] = [random.between(0, 66), random.between(10, 60)];
      return { role: 'air', colour: '#c4dcf2', line: 1.2, path: `M${x} ${y} L${x - 2} ${y + 7}` };
    });
  }
  if (scene.sky === 'snowfall') {
    const flake = (): string => circle(random.between(0, 64), random.between(0, 62), random.between(1.15, 1.6));
    return [{ role: 'speck', colour: '#ffffff', path: scatter(26, flake) }];
  }
  return [];
}
