// Draws the app's icon in the sizes that systems want, from assets/icon/icon.svg: npm run tool icon
import { readFileSync } from 'node:fs';

import sharp from 'sharp';

import { writeFileAtomic } from '../src-main/files/atomic-write.ts';

const svg = readFileSync('assets/icon/icon.svg');

for (const side of [32, 64, 128, 256, 512, 1024]) {
  const png = await sharp(svg, { density: (72 * side) / 1024 }).resize(side, side).png({ compressionLevel: 9 }).toBuffer();
  await writeFileAtomic(`assets/icon/${side}x${side}.png`, png);
}
