// What is chosen in a list, to do something with all of it.
import { type MouseEvent, type ReactNode, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { Problem } from '../../core/client.ts'
import { count, number } from '../../core/format.ts'
import type { Page } from '../../core/types.ts'
import { Failed } from './bits.tsx'
import type { Column } from './list.tsx'

// Chosen are the rows that are chosen, by their IDs. It lives beside the list, so that a choice draws one box anew and not all rows.
export class Chosen<T> {
  private rows = new Map<string, T>()
  private list: T[] = []
  private listeners = new Set<() => void>()
  private last = '' // the row that was chosen last, from which Shift chooses on

  subscribe = (l: () => void) => {
    this.listeners.add(l)
    return () => this.listeners.delete(l)
  }
  has = (id: string) => this.rows.has(id)
  all = () => this.list

  set(rows: [id: string, row: T][], on: boolean) {
    for (const [id, row] of rows) {
      if (on) this.rows.set(id, row)
      else this.rows.delete(id)
    }
    this.last = rows.at(-1)?.[0] ?? ''
    this.list = [...this.rows.values()]
    for (const l of this.listeners) l()
  }

  clear = () => {
    this.rows.clear()
    this.set([], false)
  }

  // reach gives the rows between the one that was chosen last and another, both included; that one alone where the last is not there.
  reach(shown: [id: string, row: T][], id: string): [id: string, row: T][] {
    const [a, b] = [shown.findIndex(([i]) => i === this.last), shown.findIndex(([i]) => i === id)]
    return a < 0 || b < 0 ? shown.filter(([i]) => i === id) : shown.slice(Math.min(a, b), Math.max(a, b) + 1)
  }
}

export function useChosen<T>(): Chosen<T> {
  const made = useRef<Chosen<T>>(undefined)
  return (made.current ??= new Chosen<T>())
}

export function useAll<T>(chosen: Chosen<T>): T[] {
  return useSyncExternalStore(chosen.subscribe, chosen.all)
}

type Shown<T> = { current: [id: string, row: T][] }

// useBoxes gives a column of boxes for a list. Shift reaches from the box before to this one, by pointer and by keyboard.
export function useBoxes<T>(chosen: Chosen<T> | undefined, id: (row: T) => string, name: (row: T) => string, shown: Shown<T>): Column<T>[] {
  return useMemo(
    () =>
      chosen
        ? [
            {
              head: 'Choose',
              width: '1.75rem',
              header: <AllBox chosen={chosen} shown={shown} />,
              cell: (row: T) => <Box chosen={chosen} id={id(row)} label={`Choose ${name(row)}`} pick={(e, on) => chosen.set(e.shiftKey ? chosen.reach(shown.current, id(row)) : [[id(row), row]], on)} />,
            },
          ]
        : [],
    [chosen],
  )
}

// Box chooses one.
export function Box<T>({ chosen, id, label, pick, disabled }: { chosen: Chosen<T>; id: string; label: string; pick: (e: MouseEvent, on: boolean) => void; disabled?: boolean }) {
  const on = useSyncExternalStore(chosen.subscribe, () => chosen.has(id))
  return (
    <label className="box">
      <input type="checkbox" aria-label={label} checked={on} disabled={disabled} onChange={() => undefined} onClick={(e) => pick(e, e.currentTarget.checked)} />
    </label>
  )
}

// AllBox chooses all rows that have come so far.
function AllBox<T>({ chosen, shown }: { chosen: Chosen<T>; shown: Shown<T> }) {
  const n = useAll(chosen).length
  const all = n > 0 && shown.current.every(([id]) => chosen.has(id))
  return (
    <label className="box">
      <input
        type="checkbox"
        aria-label="Choose all that are shown"
        checked={all}
        ref={(e) => {
          if (e) e.indeterminate = n > 0 && !all
        }}
        onChange={(e) => chosen.set(shown.current, e.currentTarget.checked)}
      />
    </label>
  )
}

// most bounds what is chosen at once: more than a fleet's page should act on with one click.
const most = 10_000

type Asked<T> = { queryFn: (context: { pageParam: string | undefined }) => Promise<Page<T>> }

// Bar says how many are chosen, and has what can be done with them. It stays in sight.
export function Bar<T>({ chosen, one, asked, id, children }: { chosen: Chosen<T>; one: string; asked: Asked<T>; id: (row: T) => string; children: (rows: T[]) => ReactNode }) {
  const rows = useAll(chosen)
  const [reading, setReading] = useState(false)
  const [error, setError] = useState<unknown>()
  async function chooseAll() {
    setReading(true)
    setError(undefined)
    try {
      let n = 0
      for (let after: string | undefined, first = true; first || after; first = false) {
        const page: Page<T> = await asked.queryFn({ pageParam: after })
        chosen.set(
          page.items.map((r) => [id(r), r]),
          true,
        )
        n += page.items.length
        after = page.next
        if (after && n >= most) throw new Problem(0, `These are the first ${number(n)}: more are not chosen at once. Filter the list, and go on in parts.`)
      }
    } catch (e) {
      setError(e)
    } finally {
      setReading(false)
    }
  }
  if (rows.length === 0) return null
  return (
    <div className="chosen" role="region" aria-label="What is chosen">
      {error !== undefined && <Failed error={error} />}
      <span role="status">
        <b>{count(rows.length, one)}</b> chosen
      </span>
      <button disabled={reading} onClick={() => void chooseAll()}>
        {reading ? 'Choosing…' : 'All that match'}
      </button>
      <button onClick={chosen.clear}>None</button>
      <span className="do">{children(rows)}</span>
    </div>
  )
}
