// The theme must be known before the first paint, so it is kept in the browser too.
type Theme = 'dark' | 'light' | 'system';

const key = 'adora.theme';
const lightWanted = matchMedia('(prefers-color-scheme: light)');
let theme: Theme = read();

function read(): Theme {
  const stored = localStorage.getItem(key);
  return stored === 'light' || stored === 'system' ? stored : 'dark';
}

function paint(): void {
  document.documentElement.dataset['theme'] = theme === 'system' ? (lightWanted.matches ? 'light' : 'dark') : theme;
}

export function applyTheme(wanted: Theme): void {
  theme = wanted;
  localStorage.setItem(key, wanted);
  paint();
}

lightWanted.addEventListener('change', paint);
paint();
