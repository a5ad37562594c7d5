// What activities use of image transfers' data.
export { openImageioReader, openImageioWriter } from './open-imageio';
export { probeDaemon } from './probe';
export type { ImageioOptions, ImageioReader, ImageioWriter } from './port';
