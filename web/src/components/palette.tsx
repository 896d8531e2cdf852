// One field that finds everything, and goes there.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react'
import { plain } from '../../core/format.ts'
import { ask } from '../api.ts'
import { go } from '../router.tsx'
import { Failed } from './bits.tsx'

type Target = { kind: string; name: string; detail: string; href: string }

const pause = 150 // milliseconds without typing, after which it is asked

export function Palette({ pages, open, close }: { pages: [path: string, text: string][]; open: boolean; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  return (
    <dialog ref={dialog} className="palette" aria-label="Search everything" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      {open && <Finder pages={pages} close={close} />}
    </dialog>
  )
}

function Finder({ pages, close }: { pages: [path: string, text: string][]; close: () => void }) {
  const id = useId()
  const [text, setText] = useState('')
  const [asked, setAsked] = useState('')
  const [chosen, setChosen] = useState(0)
  useEffect(() => {
    const timer = setTimeout(() => setAsked(text.trim()), pause)
    return () => clearTimeout(timer)
  }, [text])
  const found = useQuery({ ...ask.found(asked), enabled: asked !== '', placeholderData: keepPreviousData, staleTime: 10_000 })
  const small = text.trim().toLowerCase()
  const list: Target[] = [
    ...pages.filter(([, name]) => name.toLowerCase().includes(small)).map(([href, name]) => ({ kind: 'page', name, detail: '', href })),
    ...(asked && small ? (found.data ?? []) : []),
  ]
  const at = Math.min(chosen, list.length - 1)
  function take(t: Target | undefined) {
    if (!t) return
    close()
    go(t.href)
  }
  function key(e: KeyboardEvent) {
    if (e.key === 'ArrowDown') setChosen(Math.min(at + 1, list.length - 1))
    else if (e.key === 'ArrowUp') setChosen(Math.max(at - 1, 0))
    else if (e.key === 'Enter') take(list[at])
    else return
    e.preventDefault()
  }
  return (
    <>
      <input
        type="search"
        role="combobox"
        aria-label="Search everything"
        aria-expanded={list.length > 0}
        aria-controls={id}
        aria-activedescendant={list[at] ? `${id}-${at}` : undefined}
        placeholder="A page, host, update, CVE, image or package"
        autoFocus
        maxLength={200}
        value={text}
        onChange={(e) => {
          setText(e.target.value)
          setChosen(0)
        }}
        onKeyDown={key}
      />
      <ul id={id} role="listbox" aria-label="Found">
        {list.map((t, i) => (
          <li
            key={`${t.kind} ${t.href}`}
            id={`${id}-${i}`}
            role="option"
            aria-selected={i === at}
            ref={(e) => {
              if (i === at) e?.scrollIntoView({ block: 'nearest' })
            }}
            onPointerMove={() => setChosen(i)}
            onClick={() => take(t)}
          >
            <span className="kind">{t.kind}</span>
            <span className="name">{plain(t.name)}</span>
            <small>{plain(t.detail)}</small>
          </li>
        ))}
      </ul>
      {found.isError && asked && <Failed error={found.error} />}
      <p className="quiet" role="status">
        {list.length === 0 ? (found.isFetching || asked !== text.trim() ? 'Looking…' : 'Nothing has such a name.') : ''}
      </p>
    </>
  )
}
