// Dropped files and folders: their places on the desktop, uploads in the browser.
import { t } from '../../messages.ts';
import type { PictureSet } from '../../state/picture-set.svelte.ts';
import type { Studio } from '../../state/studio.svelte.ts';

const picture = /\.(png|jpe?g|jfif|webp|avif)$/i;
const caption = /\.(txt|caption)$/i;
const stemOf = (name: string): string => name.replace(/\.[^.]*$/, '');
/** Folder and file, so that captions find their pictures. */
interface Brought { readonly folder: string; readonly file: File }

export async function bringFiles(studio: Studio, set: PictureSet, source: DataTransfer | readonly File[], signal: AbortSignal, onprogress: (done: number, total: number) => void = () => {}): Promise<void> {
  const { fileId } = studio.bridge;
  if (fileId !== null) {
    const files = source instanceof DataTransfer ? [...source.files] : source;
    await set.bring(await Promise.all(files.map((file) => fileId(file))));
    return;
  }
  const brought = source instanceof DataTransfer ? await filesOf(source) : source.map((file) => ({ folder: '', file }));
  const pictures = brought.filter(({ file }) => picture.test(file.name));
  const captions = brought.filter(({ file }) => caption.test(file.name));
  if (pictures.length + captions.length === 0) {
    studio.toast('bad', t.data.bring.none);
    return;
  }
  const total = pictures.length + captions.length;
  let [done, tried] = [0, 0];
  /** The name that a picture got: one that was taken has a number now, and its caption needs the same. */
  const names = new Map<string, string>();
  for (const { folder, file } of [...pictures, ...captions]) {
    if (signal.aborted) break;
    const key = `${folder}/${stemOf(file.name)}`;
    const given = names.get(key);
    const name = given !== undefined && caption.test(file.name) ? `${stemOf(given)}${file.name.slice(stemOf(file.name).length)}` : file.name;
    const answer = await fetch(`/upload/${set.projectId}?name=${encodeURIComponent(name)}`, { method: 'POST', body: file, signal }).catch(() => null);
    if (signal.aborted) break;
    if (answer?.ok === true) {
      done += 1;
      const { name: stored } = await answer.json() as { name: string };
      if (picture.test(file.name)) names.set(key, stored);
    } else {
      studio.toast('bad', t.data.bring.failed(file.name, answer === null ? '' : await problemOf(answer)));
    }
    onprogress(++tried, total);
  }
  const others = brought.length - total;
  studio.toast('info', `${signal.aborted ? t.data.bring.stopped(done, total) : t.data.bring.done(done, total)}${others > 0 ? ` ${t.data.bring.others(others)}` : ''}`);
  await studio.reloadProject();
  await set.scan();
}

/** The server answers with a problem in words. */
async function problemOf(answer: Response): Promise<string> {
  const body: unknown = await answer.json().catch(() => null);
  return typeof body === 'object' && body !== null && 'message' in body ? String(body.message) : String(answer.status);
}

async function filesOf(transfer: DataTransfer): Promise<Brought[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return entries.length === 0 ? [...transfer.files].map((file) => ({ folder: '', file })) : (await Promise.all(entries.map((entry) => filesBelow(entry, '')))).flat();
}

async function filesBelow(entry: FileSystemEntry, folder: string): Promise<Brought[]> {
  if (entry.isFile) return [{ folder, file: await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)) }];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Brought[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return found;
    for (const inner of batch) found.push(...await filesBelow(inner, `${folder}/${entry.name}`));
  }
}
