// The keyboard's place: when what has the focus goes away, it goes to what is left of the surroundings, and into the screen when
// nothing is. Otherwise the next key would begin at the top of the page, and a screen reader would fall silent.

const FOCUSABLE = 'button:not(:disabled), a[href], input:not(:disabled), select:not(:disabled), textarea:not(:disabled), [tabindex]:not([tabindex="-1"])';
/** Whoever takes an element away may have a better place of its own, as dialogs do. */
const WAIT_MILLISECONDS = 60;

/** @param screen gets the focus when nothing nearer is left. Gives the way to stop. */
export function keepFocus(screen: HTMLElement): () => void {
  /** What has the focus, and what it stands in, from the inside. */
  let path: readonly Element[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const restore = (): void => {
    const [own, ...around] = path;
    const isLost = document.activeElement === null || document.activeElement === document.body;
    if (!isLost || own === undefined) return;
    if (own.isConnected) {
      // Only disabled for the moment: it waits for it, because a neighbour may do something else.
      if (own.matches(FOCUSABLE)) (own as HTMLElement).focus();
      return;
    }
    const places = around.filter((place) => place.isConnected && place !== document.body && place !== document.documentElement);
    for (const place of places) {
      if (place === screen || place.contains(screen)) break;
      const next = [...place.querySelectorAll<HTMLElement>(FOCUSABLE)].find((element) => element.checkVisibility());
      if (next !== undefined) return next.focus();
    }
    screen.focus();
  };
  const remember = ({ target }: FocusEvent): void => {
    const found: Element[] = [];
    for (let at = target instanceof Element ? target : null; at !== null; at = at.parentElement) found.push(at);
    path = found;
  };
  /** A click beside everything gives the focus up, as it does everywhere. */
  const giveUp = ({ target }: PointerEvent): void => {
    if (target instanceof Element && target.closest(FOCUSABLE) === null) path = [];
  };
  const observer = new MutationObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(restore, WAIT_MILLISECONDS);
  });
  observer.observe(document.body, { childList: true, subtree: true, attributeFilter: ['disabled'] });
  document.addEventListener('focusin', remember);
  document.addEventListener('pointerdown', giveUp);
  return () => {
    observer.disconnect();
    clearTimeout(timer);
    document.removeEventListener('focusin', remember);
    document.removeEventListener('pointerdown', giveUp);
  };
}
