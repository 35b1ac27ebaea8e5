// A grid of pictures as one PNG, with its labels painted on it.

const gap = 8;
const label = 34;
/** Sides of a picture in the grid: small ones are enlarged, so that their labels fit. */
const [least, most] = [160, 512];

async function load(url: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

/** Text in one line, cut with dots where it is too long. */
function fitted(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return `${text.slice(0, end)}…`;
}

/** Downloads the grid. @param urls rows of columns, of the page's own origin */
export async function saveGrid(urls: readonly (readonly string[])[], columns: readonly string[], rows: readonly string[], title: string, name: string): Promise<void> {
  const images = await Promise.all(urls.map((line) => Promise.all(line.map(load))));
  const side = Math.min(most, Math.max(least, images[0]?.[0]?.naturalWidth ?? most));
  const left = rows.some((row) => row !== '') ? 160 : gap;
  const canvas = document.createElement('canvas');
  canvas.width = left + columns.length * (side + gap);
  canvas.height = 2 * label + rows.length * (side + gap);
  const context = canvas.getContext('2d')!;
  // Enlarged pixels stay pixels.
  context.imageSmoothingEnabled = side <= (images[0]?.[0]?.naturalWidth ?? 0);
  context.fillStyle = '#141312';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = '#f0eeea';
  context.textBaseline = 'middle';
  context.font = '600 15px system-ui, sans-serif';
  context.fillText(fitted(context, title, canvas.width - 2 * gap), gap, label / 2);
  context.font = '14px system-ui, sans-serif';
  columns.forEach((text, at) => context.fillText(fitted(context, text, side), left + at * (side + gap), 1.5 * label));
  rows.forEach((text, row) => {
    const top = 2 * label + row * (side + gap);
    context.fillText(fitted(context, text, left - 2 * gap), gap, top + side / 2);
    images[row]!.forEach((image, at) => context.drawImage(image, left + at * (side + gap), top, side, side));
  });
  const blob = await new Promise<Blob | null>((resolve) => { canvas.toBlob(resolve, 'image/png'); });
  if (blob === null) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
