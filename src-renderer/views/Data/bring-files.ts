// Dropped files and folders: their places on the desktop, uploads in the browser.
import type { PictureSet } from '../../state/picture-set.svelte.ts';
import type { Studio } from '../../state/studio.svelte.ts';

const wanted = /\.(png|jpe?g|webp|gif|bmp|tiff?|avif|txt|caption)$/i;

export async function bringFiles(studio: Studio, set: PictureSet, source: DataTransfer | readonly File[]): Promise<void> {
  const { fileId } = studio.bridge;
  if (fileId !== null) {
    const files = source instanceof DataTransfer ? [...source.files] : source;
    await set.addFolders(await Promise.all(files.map((file) => fileId(file))));
    return;
  }
  const files = (source instanceof DataTransfer ? await filesOf(source) : source).filter((file) => wanted.test(file.name));
  if (files.length === 0) {
    studio.toast('bad', 'There is no picture among the dropped files. Pictures are PNG, JPEG, WebP, TIFF, AVIF, GIF or BMP.');
    return;
  }
  let done = 0;
  for (const file of files) {
    const answer = await fetch(`/upload/${set.projectId}?name=${encodeURIComponent(file.name)}`, { method: 'POST', body: file }).catch(() => null);
    if (answer?.ok === true) done += 1;
    else studio.toast('bad', `${file.name} could not be added${answer === null ? '.' : ` (${await answer.text()}).`}`);
  }
  studio.toast('info', `${done} of ${files.length} files added.`);
  await studio.reloadProject();
  await set.scan();
}

async function filesOf(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return entries.length === 0 ? [...transfer.files] : (await Promise.all(entries.map(filesBelow))).flat();
}

async function filesBelow(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return found;
    for (const inner of batch) found.push(...await filesBelow(inner));
  }
}
