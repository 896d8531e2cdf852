// What changed at the server comes by itself, as server-sent events.
import { useSyncExternalStore } from 'react'
import { touched } from '../core/queries.ts'
import { cache } from './api.ts'

export type Line = 'connecting' | 'open' | 'lost'

let line: Line = 'connecting'
let since = Date.now()
const listeners = new Set<() => void>()

function set(next: Line) {
  if (next === line) return
  line = next
  since = Date.now()
  for (const l of listeners) l()
}

function subscribe(l: () => void) {
  listeners.add(l)
  return () => listeners.delete(l)
}

// useLine says whether the server is there, and since when.
export function useLine(): { line: Line; since: number } {
  const state = useSyncExternalStore(subscribe, () => line)
  return { line: state, since }
}

// Several changes within this time are one for the page.
const together = 1000
const again = 5000
const day = 86_400_000
// patience is how much longer than an answer took the next one is waited for.
const patience = 4

// listen asks anew for what has changed, until it is ended.
export function listen(): () => void {
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let waiting = new Set<string>()
  let flush: ReturnType<typeof setTimeout> | undefined
  const changed = (keys: string[]) => {
    for (const k of keys) waiting.add(k)
    flush ??= setTimeout(() => void refresh(), pause)
  }
  let pause = together
  // What is shown is asked for again; after a long answer it is left alone for longer.
  const refresh = async () => {
    const keys = waiting
    waiting = new Set()
    const began = performance.now()
    await cache.invalidateQueries({ predicate: (q) => keys.has(String(q.queryKey[0])) })
    pause = Math.max(together, patience * (performance.now() - began))
    flush = undefined
    if (waiting.size > 0) changed([])
  }
  const open = () => {
    source = new EventSource('/api/v1/events')
    source.addEventListener('hello', () => {
      if (line === 'lost') void cache.invalidateQueries() // who knows what was missed
      set('open')
    })
    source.addEventListener('change', (e) => {
      const { topic } = JSON.parse((e as MessageEvent<string>).data) as { topic: string }
      changed(touched(topic))
    })
    source.addEventListener('error', () => {
      set('lost')
      if (source?.readyState === EventSource.CLOSED) {
        // A refusal: signed out elsewhere, perhaps.
        void cache.invalidateQueries({ queryKey: ['me'] })
        timer = setTimeout(open, again)
      }
    })
  }
  // With a day (of UTC) end suppressions, and what was due today is overdue: nobody announces that.
  let midnight: ReturnType<typeof setTimeout> | undefined
  const tomorrow = () => {
    midnight = setTimeout(() => {
      changed(touched('advisories'))
      tomorrow()
    }, day - (Date.now() % day) + together)
  }
  tomorrow()
  open()
  return () => {
    source?.close()
    clearTimeout(timer)
    clearTimeout(midnight)
    clearTimeout(flush)
    set('connecting')
  }
}
