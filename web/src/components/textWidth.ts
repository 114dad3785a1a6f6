// Widths of text in the page's own font, measured once per text: laying out hundreds of names must stay cheap.
const known = new Map<string, number>();
let context: CanvasRenderingContext2D | null = null;

export function textWidth(text: string, bold: boolean): number {
  const key = `${bold}${text}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  context ??= document.createElement('canvas').getContext('2d');
  if (!context) return text.length * 8;
  context.font = `${bold ? 600 : 400} 13px ${getComputedStyle(document.body).fontFamily}`;
  const width = context.measureText(text).width;
  if (known.size > 20_000) known.clear();
  known.set(key, width);
  return width;
}
