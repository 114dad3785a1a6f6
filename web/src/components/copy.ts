// Copying also works on pages served over plain HTTP, where browsers hide the clipboard API.
export function copyText(text: string): void {
  if (navigator.clipboard) return void navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  area.style.position = 'fixed';
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
