// A chart of how something was over time. It is read by the pointer, by the arrow keys, and as a table.
import { useEffect, useId, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { number } from '../../core/format.ts'

export type Line = { name: string; colour: string; values: (number | null)[]; bars?: boolean }

type Props = { title: string; times: number[]; lines: Line[] }

const height = 180

const exact = (t: number) => new Date(t * 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })

// colour reads one of the page's, which a canvas does not know by name.
const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

// useScheme changes when light and dark do.
function useScheme(): number {
  const [n, set] = useState(0)
  useEffect(() => {
    const changed = () => set((n) => n + 1)
    const media = matchMedia('(prefers-color-scheme: dark)')
    const theme = new MutationObserver(changed)
    media.addEventListener('change', changed)
    theme.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    return () => {
      media.removeEventListener('change', changed)
      theme.disconnect()
    }
  }, [])
  return n
}

function options(lines: Line[], width: number, moved: (i: number | null) => void): uPlot.Options {
  const days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
  const axis: uPlot.Axis = { stroke: colour('quiet'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' }
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { y: { range: (_, __, max) => [0, Math.max(5, max * 1.08)] } },
    axes: [{ ...axis, size: 28, space: 70, values: (_, v) => v.map((t) => days.format(t * 1000)), incrs: [86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400] }, { ...axis, size: 64, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 500_000], values: (_, v) => v.map((n) => number(n)) }],
    series: [
      {},
      ...lines.map((l): uPlot.Series => {
        const stroke = colour(l.colour)
        const base = { label: l.name, stroke, width: 2, points: { show: false } }
        return l.bars ? { ...base, fill: stroke, paths: uPlot.paths.bars?.({ size: [0.7, 24], align: 1 }) } : { ...base, paths: uPlot.paths.stepped?.({ align: 1 }) }
      }),
    ],
    hooks: { setCursor: [(u) => moved(u.cursor.idx ?? null)] },
  }
}

export default function Chart({ title, times, lines }: Props) {
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const [at, setAt] = useState<number | null>(null)
  const scheme = useScheme()
  const data = useMemo((): uPlot.AlignedData => [times, ...lines.map((l) => l.values)], [times, lines])
  const shape = lines.map((l) => l.name).join()
  useEffect(() => {
    const into = box.current
    if (!into) return
    const u = new uPlot(options(lines, into.clientWidth, setAt), data, into)
    plot.current = u
    const size = new ResizeObserver(() => u.setSize({ width: into.clientWidth, height }))
    size.observe(into)
    return () => {
      size.disconnect()
      u.destroy()
    }
  }, [shape, scheme])
  useEffect(() => plot.current?.setData(data), [data])
  const last = times.length - 1
  const shown = at ?? last
  function step(i: number) {
    setAt(i)
    const u = plot.current
    if (u) u.setCursor({ left: u.valToPos(times[i] ?? 0, 'x'), top: 0 }, false)
  }
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption id={id}>{title}</figcaption>
      <ul className="values" aria-live="off">
        {lines.map((l) => (
          <li key={l.name}>
            <span className="swatch" style={{ background: `var(--${l.colour})` }} aria-hidden="true" />
            <b>{number(l.values[shown] ?? 0)}</b> {l.name}
          </li>
        ))}
        <li className="quiet">{exact(times[shown] ?? 0)}</li>
      </ul>
      <div ref={box} style={{ height }} aria-hidden="true" />
      <input
        type="range"
        min={0}
        max={last}
        value={shown}
        aria-label={`${title}: the time to read`}
        aria-valuetext={`${exact(times[shown] ?? 0)}: ${lines.map((l) => `${l.values[shown] ?? 0} ${l.name}`).join(', ')}`}
        onChange={(e) => step(Number(e.target.value))}
      />
    </figure>
  )
}
