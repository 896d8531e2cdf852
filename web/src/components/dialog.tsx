import { type ReactNode, useEffect, useId, useRef } from 'react'

// Dialog asks something before the page goes on. It is there while it is drawn; Escape closes it, and the focus goes back to where it was.
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ReactNode }) {
  const id = useId()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const d = dialog.current
    if (d && !d.open) d.showModal()
  }, [])
  return (
    <dialog ref={dialog} className="ask" aria-labelledby={id} onClose={close}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  )
}

// Answers are the buttons at the end of a dialog.
export function Answers({ close, children }: { close: () => void; children: ReactNode }) {
  return (
    <div className="answers">
      <button type="button" onClick={close}>
        Back
      </button>
      {children}
    </div>
  )
}
