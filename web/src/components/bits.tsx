// The small parts that pages share.
import { type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { Problem } from '../../core/client.ts'
import { ago, number, plain, short } from '../../core/format.ts'
import type { Update } from '../../core/types.ts'
import { useNow } from '../now.ts'
import { useParam } from '../router.tsx'

// Time says how long since, and exactly when on hover.
export function Time({ at }: { at: string | undefined }) {
  const now = useNow()
  if (!at) return <span className="quiet">never</span>
  // The exact time is written when it is wanted: a list has hundreds.
  return (
    <time dateTime={at} onPointerEnter={(e) => (e.currentTarget.title = new Date(at).toLocaleString())}>
      {ago(at, now)}
    </time>
  )
}

// signs stand beside a state's word, for who does not see its colour.
const signs: Record<string, string> = { unknown: '?', security: '!', outdated: '↑', current: '✓', waiting: '…', running: '▸', back: '↶', cancelled: '–', act: '!', window: '↑', routine: '·', track: '–' }

export function State({ of, children }: { of: string; children?: ReactNode }) {
  return (
    <span className={`state ${of}`}>
      <span className="sign" aria-hidden="true">
        {signs[of] ?? '·'}
      </span>
      {children ?? of}
    </span>
  )
}

// Step is from which version to which.
export function Step({ update: u }: { update: Update }) {
  return (
    <span className="step">
      <span>{plain(short(u.from, u.from_version))}</span>
      <span aria-label="to"> → </span>
      <span>{plain(short(u.to, u.to_version))}</span>
    </span>
  )
}

// Marks are what is special about an update.
export function Marks({ update: u }: { update: Update }) {
  return (
    <span className="marks">
      {u.security && <State of="security" />}
      {u.kind && <span className="tag">{u.level ? `${u.level} version` : u.kind}</span>}
      {u.blocked && (
        <span className="tag" title={u.blocked_because}>
          {u.blocked}
        </span>
      )}
      {u.stale_since && <span className="tag">not confirmed</span>}
    </span>
  )
}

// Failed says what went wrong, and offers to try again.
export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const text = error instanceof Problem ? error.message : 'This page has a fault.'
  return (
    <div className="note bad" role="alert">
      <p>{plain(text)}</p>
      {again && <button onClick={again}>Try again</button>}
    </div>
  )
}

// Loading shows after a moment only, so that what comes at once does not flicker.
export function Loading() {
  return (
    <div className="loading" role="status">
      <span>Loading…</span>
    </div>
  )
}

// Empty says that there is nothing, and what to do about it; small stands between other things.
export function Empty({ children, small }: { children: ReactNode; small?: boolean }) {
  return <div className={small ? 'empty small' : 'empty'}>{children}</div>
}

// Search is a parameter of the address that is typed. It is taken over when typing pauses.
export function Search({ name, label, placeholder }: { name: string; label: string; placeholder?: string }) {
  const [value, setValue] = useParam(name)
  const [text, setText] = useState(value)
  const set = useRef(setValue)
  set.current = setValue
  useEffect(() => setText(value), [value])
  useEffect(() => {
    if (text === value) return
    const timer = setTimeout(() => set.current(text.trim()), 250)
    return () => clearTimeout(timer)
  }, [text, value])
  return <input type="search" className="search" aria-label={label} placeholder={placeholder ?? label} value={text} maxLength={200} onChange={(e) => setText(e.target.value)} data-search="" />
}

// Choice is a parameter of the address that is one of a few.
export function Choice({ name, label, choices }: { name: string; label: string; choices: [value: string, text: string][] }) {
  const [value, set] = useParam(name)
  return (
    <div className="choice" role="group" aria-label={label}>
      {choices.map(([v, text]) => (
        <button key={v} aria-pressed={v === value} onClick={() => set(v)}>
          {text}
        </button>
      ))}
    </div>
  )
}

// Pick is a parameter of the address that is one of many.
export function Pick({ name, label, choices }: { name: string; label: string; choices: [value: string, text: string][] }) {
  const [value, set] = useParam(name)
  return (
    <select aria-label={label} value={choices.some(([v]) => v === value) ? value : ''} onChange={(e) => set(e.target.value)}>
      {choices.map(([v, text]) => (
        <option key={v} value={v}>
          {text}
        </option>
      ))}
    </select>
  )
}

// Copy is a text that goes to the clipboard.
export function Copy({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return
    const timer = setTimeout(() => setDone(false), 2000)
    return () => clearTimeout(timer)
  }, [done])
  return (
    <div className="copy">
      <code>{text}</code>
      <button aria-label={`Copy ${label}`} onClick={() => void navigator.clipboard.writeText(text).then(() => setDone(true))}>
        {done ? 'Copied' : 'Copy'}
      </button>
    </div>
  )
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: (id: string) => ReactNode }) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children(id)}
      {hint && <small>{hint}</small>}
    </div>
  )
}

export function Title({ children, aside }: { children: ReactNode; aside?: ReactNode }) {
  return (
    <div className="title">
      <h1>{children}</h1>
      {aside && <div className="aside">{aside}</div>}
    </div>
  )
}

// useTitle names the page in the browser's tab.
export function useTitle(title: string) {
  useEffect(() => {
    document.title = `${plain(title)} · RedFlag`
  }, [title])
}

// Export is where a list can be had whole.
export function Export({ path, filter }: { path: string; filter?: Record<string, string | undefined> }) {
  const href = (format: string) => {
    const q = new URLSearchParams({ format })
    for (const [k, v] of Object.entries(filter ?? {})) if (v) q.set(k, v)
    return `/api/v1${path}?${q}`
  }
  return (
    <span className="export" role="group" aria-label="The whole list as a file">
      <a className="button" href={href('csv')} download>
        CSV
      </a>
      <a className="button" href={href('jsonl')} download title="JSON lines: an object a line">
        JSON
      </a>
    </span>
  )
}

// Number is a count, quiet where there is nothing.
export function Number({ of }: { of: number }) {
  return of ? <>{number(of)}</> : <span className="quiet">0</span>
}

// Facts are names with their values.
export function Facts({ rows }: { rows: [name: string, value: ReactNode][] }) {
  return (
    <dl>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{(typeof value === 'string' ? plain(value) : value) || <span className="quiet">none</span>}</dd>
        </div>
      ))}
    </dl>
  )
}
