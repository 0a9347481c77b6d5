// What a check of the image is.
import type { TestImage } from './image_make.ts'

/** One thing that is proven; an error says what is wrong. Answers what was seen, or why it was skipped. */
export type Check = [name: string, prove: (image: TestImage) => Promise<string | { skipped: string }>]
