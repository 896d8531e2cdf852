// The nouns of the API, by their names there.
import type { components } from './schema.ts'

type S = components['schemas']
export type Host = S['Host']
export type HostState = Host['state']
export type Finding = S['Finding']
export type Update = S['Update']
export type Offer = S['Offer']
export type OnHost = S['OnHost']
export type Image = S['Image']
export type ImageOnHost = S['ImageOnHost']
export type Check = S['Check']
export type Gone = S['Gone']
export type Package = S['Package']
export type PackageName = S['PackageName']
export type PackageOnHost = S['PackageOnHost']
export type Summary = S['Summary']
export type Caller = S['Caller']
export type Order = S['Order']
export type Token = S['Token']
export type NewToken = S['NewToken']
export type User = S['User']
export type Key = S['Key']
export type Login = S['Login']
export type Group = S['Group']

// Page is a page of any list.
export type Page<T> = { items: T[]; next?: string }
