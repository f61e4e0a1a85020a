const KEY = 'yaoji.large';

/** The switch for large type works without a script; this remembers it for the next visit. */
export function rememberLargeType(): void {
  const box = document.getElementById('large');
  if (!(box instanceof HTMLInputElement)) return;
  // Browsers may keep storage from a page: then it is not remembered, and nothing else.
  try {
    box.checked = localStorage.getItem(KEY) === '1';
  } catch {}
  const show = (): void => void document.documentElement.classList.toggle('large', box.checked);
  show();
  box.addEventListener('change', () => {
    show();
    try {
      localStorage.setItem(KEY, box.checked ? '1' : '0');
    } catch {}
  });
}
