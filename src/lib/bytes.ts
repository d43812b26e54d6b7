/** `48 kB`, `1.2 GB`: the units that PostgreSQL shows, steps of 1,024. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let size = bytes;
  for (; size >= 1_024 && unit < units.length - 1; unit++) size /= 1_024;
  return `${unit > 0 && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}
