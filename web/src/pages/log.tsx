// What the tools say on a host, as it comes. However long it is, only the lines in sight are in the document.
import { useQuery } from '@tanstack/react-query'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { count, plain } from '../../core/format.ts'
import { ask, cache } from '../api.ts'
import { Failed } from '../components/bits.tsx'

type Read = { lines: string[]; next: number; whole: boolean }

// atOnce is how many lines one request brings.
const atOnce = 5000

// logOf is a log as far as it was read. It grows: each time only what has come since is asked for.
function logOf(job: number) {
  const queryKey = ['lines', job]
  return {
    queryKey,
    structuralSharing: false,
    queryFn: async (): Promise<Read> => {
      let read: Read = cache.getQueryData(queryKey) ?? { lines: [], next: 0, whole: false }
      while (!read.whole) {
        const more = await ask.lines(job, read.next, atOnce)
        // What the server gives begins where it says: a line that was read already is not shown twice.
        const fresh = more.lines.slice(Math.max(0, read.next - more.from))
        read = { lines: fresh.length ? read.lines.concat(fresh.map(plain)) : read.lines, next: Math.max(more.next, read.next), whole: more.whole }
        if (more.lines.length === 0) break
        cache.setQueryData(queryKey, read) // what has come is shown before the rest has
      }
      return read
    },
  }
}

const lineHeight = 20
const estimateSize = () => lineHeight

export function Log({ job, host }: { job: number; host: string }) {
  const { data, error, refetch } = useQuery(logOf(job))
  const box = useRef<HTMLDivElement>(null)
  const [follows, setFollows] = useState(true)
  const [copied, setCopied] = useState(false)
  const lines = data?.lines ?? []
  const virtual = useVirtualizer({ count: lines.length, estimateSize, overscan: 20, getScrollElement: () => box.current })
  useLayoutEffect(() => {
    if (follows && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [lines.length, follows])
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [copied])
  function scrolled() {
    const b = box.current
    if (b) setFollows(b.scrollHeight - b.scrollTop - b.clientHeight < lineHeight)
  }
  return (
    <section>
      <div className="title">
        <h2>Log</h2>
        <div className="aside">
          <span className="quiet" role="status">
            {data ? (data.whole ? count(lines.length, 'line') : `${count(lines.length, 'line')} so far`) : ''}
          </span>
          {!follows && (
            <button onClick={() => setFollows(true)} title="Scroll to the end, and stay there">
              To the end
            </button>
          )}
          <button disabled={lines.length === 0} onClick={() => void navigator.clipboard.writeText(lines.join('\n')).then(() => setCopied(true))}>
            {copied ? 'Copied' : 'Copy'}
          </button>
          <a className="button" href={`/api/v1/jobs/${job}/log`} download>
            Download
          </a>
        </div>
      </div>
      {error && <Failed error={error} again={() => void refetch()} />}
      {lines.length === 0 ? (
        <p className="quiet">{!data ? 'Loading…' : data.whole ? 'Nothing was said.' : 'Nothing was said yet. What the tools say appears here by itself.'}</p>
      ) : (
        <div ref={box} className="log" tabIndex={0} role="region" aria-label={`What the tools say on ${plain(host)}`} onScroll={scrolled}>
          <div style={{ height: virtual.getTotalSize(), position: 'relative' }}>
            <div style={{ transform: `translateY(${virtual.getVirtualItems()[0]?.start ?? 0}px)` }}>
              {virtual.getVirtualItems().map((item) => (
                <div key={item.key} className="line">
                  {lines[item.index] || ' '}
                </div>
              ))}
            </div>
          </div>
        </div>
      )}
    </section>
  )
}
