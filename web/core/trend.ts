// What is made of how the fleet was.
import type { Point } from './types.ts'

// Day is a day that begins at day, in seconds.
export type Day = { day: number; installed: number }

const long = 86_400

// perDay counts what was installed on each day, the first and the last included. A point counts all since the first one, so a day has the
// difference between its last point and that of the day before. East is how many minutes the clock is before UTC.
export function perDay(points: Point[], east: number): Day[] {
  const list: Day[] = []
  let before = points[0]?.installed ?? 0
  for (const p of points) {
    const local = Date.parse(p.at) / 1000 + east * 60
    const day = Math.floor(local / long) * long - east * 60
    let last = list.at(-1)
    for (; !last || last.day < day; last = list.at(-1)) list.push({ day: last ? last.day + long : day, installed: 0 })
    last.installed += p.installed - before
    before = p.installed
  }
  return list
}
