// The files that come with the program: starter model, demo pictures, recipes.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../base/errors.ts';

/** Folder `assets`, wherever the built code lies below the program's root. Error: `assets.missing`. */
export function assetsFolder(from = fileURLToPath(import.meta.url)): string {
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    const assets = join(folder, 'assets');
    if (existsSync(join(assets, 'recipes'))) return assets;
    if (folder === dirname(folder)) {
      throw new UserError('assets.missing', 'The folder "assets" that belongs to Adora is missing: install it again.', { from });
    }
  }
}
