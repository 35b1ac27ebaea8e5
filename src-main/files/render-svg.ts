// SVG to PNG. The SVG must bring its letters as paths: fonts differ between machines, and some have none.
import sharp from 'sharp';

/** @param scale pixels of the picture for one unit of the SVG */
export async function renderSvg(svg: string, scale = 1): Promise<Buffer> {
  return sharp(Buffer.from(svg), { density: 72 * scale, unlimited: true }).flatten({ background: '#ffffff' })
    .png({ compressionLevel: 9, palette: false }).toBuffer();
}
