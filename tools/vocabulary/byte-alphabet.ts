// Byte-level BPE works on characters that stand for bytes (Radford et al. 2019, section 2.2): printable bytes stand for
// themselves, the others for characters from U+0100 on.

const isPrintable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

const bytes = Array.from({ length: 256 }, (_, byte) => byte);
const printable = bytes.filter(isPrintable);
const others = bytes.filter((byte) => !isPrintable(byte));

const characterOf: readonly string[] = bytes.map((byte) =>
  String.fromCharCode(isPrintable(byte) ? byte : 0x100 + others.indexOf(byte)),
);

/** The 256 characters in the order in which vocabularies list them: printable bytes first. */
export const byteAlphabet: readonly string[] = [...printable, ...others].map((byte) => characterOf[byte]!);

/** The characters that stand for the UTF-8 bytes of a text. */
export const toByteCharacters = (text: string): string[] => Array.from(new TextEncoder().encode(text), (byte) => characterOf[byte]!);
