// A list of any length: rows come page by page from the server, and only those in sight are in the document.
import { useInfiniteQuery } from '@tanstack/react-query'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { memo, type ReactNode, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { number } from '../../core/format.ts'
import type { Page } from '../../core/types.ts'
import { useParam } from '../router.tsx'
import { Failed, Loading } from './bits.tsx'
import { type Chosen, useBoxes } from './choose.tsx'

export type Column<T> = {
  head: string
  // width is one of CSS grid's: 2fr, 6rem.
  width: string
  cell: (row: T) => ReactNode
  // number sets it to the right.
  number?: boolean
  // sort is the parameter that sorts by it; oneWay where the other way round makes no sense.
  sort?: string
  oneWay?: boolean
  // header stands at the top in place of the head's text.
  header?: ReactNode
}

type Asked<T> = {
  queryKey: unknown[]
  queryFn: (context: { pageParam: string | undefined }) => Promise<Page<T>>
  initialPageParam: string | undefined
  getNextPageParam: (last: Page<T>) => string | undefined
}

type Props<T> = {
  label: string
  asked: Asked<T>
  columns: Column<T>[]
  id: (row: T) => string
  empty: ReactNode
  // choose lets rows be chosen; name says which one a box is of.
  choose?: { chosen: Chosen<T>; name: (row: T) => string }
}

// rowHeight is a guess, until a row was seen: rather too high, so that none is drawn in vain before the first ones show.
const rowHeight = 62
const estimateSize = () => rowHeight
// ahead is how many rows before the end the next page is asked for.
const ahead = 60

export function List<T>({ label, asked, columns: own, id, empty, choose }: Props<T>) {
  const query = useInfiniteQuery(asked)
  const pages = query.data?.pages
  const rows = useMemo(() => pages?.flatMap((p) => p.items) ?? [], [pages])
  const shown = useRef<[id: string, row: T][]>([])
  shown.current = choose ? rows.map((r) => [id(r), r]) : []
  const boxes = useBoxes(choose?.chosen, id, choose?.name ?? id, shown)
  const columns = useMemo(() => [...boxes, ...own], [boxes, own])
  const body = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  // Rows that are out of sight come a moment after those that somebody waits for.
  const [ready, setReady] = useState(false)
  useLayoutEffect(() => {
    if (body.current) setTop(body.current.getBoundingClientRect().top + scrollY)
  }, [rows.length === 0])
  // The same function as long as the rows are: with another one all of them would be laid out anew at each step of a scroll.
  const getItemKey = useCallback((i: number) => id(rows[i] as T), [rows, id])
  const virtual = useWindowVirtualizer({ count: rows.length, estimateSize, overscan: ready ? 10 : 1, scrollMargin: top, getItemKey })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  useEffect(() => {
    const timer = setTimeout(() => setReady(true), 300)
    return () => clearTimeout(timer)
  }, [])
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query
  useEffect(() => {
    if (last >= rows.length - ahead && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [last, rows.length, hasNextPage, isFetchingNextPage, fetchNextPage])
  if (query.isPending) return <Loading />
  if (query.isError && rows.length === 0) return <Failed error={query.error} again={() => void query.refetch()} />
  if (rows.length === 0) return <>{empty}</>
  const template = columns.map((c) => c.width).join(' ')
  return (
    <>
      {query.isError && <Failed error={query.error} again={() => void query.refetch()} />}
      <div className="list" role="table" aria-label={label} aria-rowcount={hasNextPage ? -1 : rows.length + 1}>
        <div className="row head" role="row" style={{ gridTemplateColumns: template }} aria-rowindex={1}>
          {columns.map((c) => (
            <div key={c.head} role="columnheader" className={c.number ? 'cell number' : 'cell'}>
              {c.header ?? (c.sort ? <Sort by={c.sort} oneWay={c.oneWay}>{c.head}</Sort> : c.head)}
            </div>
          ))}
        </div>
        <div ref={body} role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {items.map((item) => {
            return <Row key={item.key} row={rows[item.index] as T} index={item.index} at={item.start - top} columns={columns} template={template} measure={virtual.measureElement} />
          })}
        </div>
      </div>
      <p className="quiet" aria-live="polite">
        {hasNextPage ? `${number(rows.length)} so far, more when you scroll` : `${number(rows.length)} in all`}
      </p>
    </>
  )
}

type RowProps<T> = { row: T; index: number; at: number; columns: Column<T>[]; template: string; measure: (e: Element | null) => void }

// Row is drawn once, however often the list around it scrolls.
const Row = memo(function Row<T>({ row, index, at, columns, template, measure }: RowProps<T>) {
  return (
    <div ref={measure} data-index={index} className="row" role="row" aria-rowindex={index + 2} style={{ gridTemplateColumns: template, position: 'absolute', top: 0, left: 0, right: 0, transform: `translateY(${at}px)` }}>
      {columns.map((c) => (
        <div key={c.head} role="cell" className={c.number ? 'cell number' : 'cell'} data-head={c.head}>
          {c.cell(row)}
        </div>
      ))}
    </div>
  )
}) as <T>(props: RowProps<T>) => ReactNode

// Sort turns the order of a list by a column, and back; one way, it puts the usual order back.
function Sort({ by, oneWay, children }: { by: string; oneWay?: boolean | undefined; children: ReactNode }) {
  const [sort, set] = useParam('sort')
  const next = oneWay ? (sort === by ? '' : by) : sort === `-${by}` ? by : `-${by}`
  const is = sort === by ? 'up' : sort === `-${by}` ? 'down' : ''
  return (
    <button className="sort" onClick={() => set(next)} title={`Sort by ${by}`}>
      {children}
      <span aria-hidden="true">{is === 'up' ? ' ▲' : is === 'down' ? ' ▼' : ''}</span>
    </button>
  )
}
