// How things are said. Times are in UTC milliseconds or as the API writes them.

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

export type When = string | undefined

export function age(when: When, now: number): number {
  return when ? Math.max(0, now - Date.parse(when)) : Infinity
}

// ago says how long since, as people say it.
export function ago(when: When, now: number): string {
  const d = age(when, now)
  if (d === Infinity) return 'never'
  if (d < minute) return 'just now'
  if (d < hour) return `${Math.floor(d / minute)} min ago`
  if (d < 2 * day) return `${Math.floor(d / hour)} h ago`
  return `${Math.floor(d / day)} days ago`
}

// number writes a number as people read it: 12,345. It is written so often that the browser's own way would be felt.
export function number(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ',')
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${number(n)} ${n === 1 ? one : many}`
}

// span says how long a number of seconds is.
export function span(seconds: number): string {
  if (seconds < 120) return count(Math.round(seconds), 'second')
  if (seconds < 7200) return count(Math.round(seconds / 60), 'minute')
  if (seconds < 172_800) return count(Math.round(seconds / 3600), 'hour')
  return count(Math.round(seconds / 86_400), 'day')
}

export function bytes(n: number): string {
  if (n <= 0) return ''
  const units = ['B', 'kB', 'MB', 'GB']
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`
}

// short names one side of an image's update: its version, or the beginning of its digest.
export function short(id: string, version?: string): string {
  if (version && version !== id) return version
  return id.startsWith('sha256:') ? id.slice(7, 19) : id
}

const odd = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu

// plain keeps foreign text from steering the page: the server has cleaned it already, and this is the second lock.
export function plain(s: string): string {
  const clean = s.replace(odd, '\uFFFD')
  return clean.length > 500 ? `${clean.slice(0, 500)}…` : clean
}

// readLabels reads site=berlin, env=prod.
export function readLabels(text: string): Record<string, string> {
  const out: Record<string, string> = {}
  for (const part of text.split(',')) {
    const [name, ...value] = part.split('=')
    if (name?.trim()) out[name.trim()] = value.join('=').trim()
  }
  return out
}

// labelText writes labels as readLabels reads them.
export function labelText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([k, v]) => (v ? `${k}=${v}` : k))
    .join(', ')
}
