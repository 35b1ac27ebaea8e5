// One table of commands: the palette, the keyboard and the help sheet read it.
import { t } from '../messages.ts';

export interface Command {
  readonly id: string;
  readonly label: string;
  /** 'mod+k', 'g d', 'escape'; mod is Ctrl, or Command on a Mac. */
  readonly keys?: string;
  readonly group: string;
  /** Left out of palette and keyboard while false. */
  readonly enabled?: () => boolean;
  readonly run: () => void;
}

export const isMac = /mac/i.test(navigator.platform);

/** The keys of an event as they stand in the table. */
export function keysOf(event: KeyboardEvent): string {
  const parts: string[] = [];
  if (isMac ? event.metaKey : event.ctrlKey) parts.push('mod');
  if (event.altKey) parts.push('alt');
  if (event.shiftKey && event.key.length > 1) parts.push('shift');
  parts.push(event.shiftKey && event.key.length === 1 && parts.includes('mod') ? `shift+${event.key.toLowerCase()}` : event.key.toLowerCase());
  return parts.join('+');
}

const editable = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches('textarea, select, input:not([type=checkbox]):not([type=range]):not([type=radio])'));

/** Runs the command that `event` means. Keys without mod do nothing while somebody types. */
export function runShortcut(event: KeyboardEvent, commands: readonly Command[]): boolean {
  const keys = keysOf(event);
  if (editable(event.target) && !keys.startsWith('mod+')) return false;
  if (editable(event.target) && (keys === 'mod+z' || keys === 'mod+shift+z')) return false;
  const command = commands.find((entry) => entry.keys === keys && (entry.enabled?.() ?? true));
  if (command === undefined) return false;
  event.preventDefault();
  command.run();
  return true;
}

export function keyText(keys: string): string {
  const names: Readonly<Record<string, string>> = { ...t.parts.keys, mod: isMac ? '⌘' : t.parts.keys.mod };
  return keys.split('+').map((key) => names[key] ?? key.toUpperCase()).join(' + ');
}

/** Commands whose words all occur, best first: a match at the start of the label counts more. */
export function findCommands(commands: readonly Command[], search: string): Command[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== '');
  return commands
    .filter((command) => (command.enabled?.() ?? true) && words.every((word) => `${command.label} ${command.group}`.toLowerCase().includes(word)))
    .sort((a, b) => Number(b.label.toLowerCase().startsWith(words[0] ?? '')) - Number(a.label.toLowerCase().startsWith(words[0] ?? '')));
}
