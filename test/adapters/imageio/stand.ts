// What the contract suite needs of a data daemon, real or fake: tickets on images, and a look from the host's side.
import type { ImageioOptions } from '../../../adapters/imageio';

export interface TicketRequest {
  /** A qcow2 image. */
  readonly image: string;
  readonly op: 'read' | 'write';
  /** Dirty extents are those of this bitmap. */
  readonly bitmap?: string;
  /** Of the ticket; the image's virtual size otherwise. */
  readonly sizeBytes?: number;
  readonly timeoutSeconds?: number;
  /** The file's bytes instead of the disk in it. */
  readonly asFile?: boolean;
}

export interface StandTicket {
  readonly uuid: string;
  readonly transferUrl: string;
  readonly sizeBytes: number;
  cancel(): Promise<void>;
  expire(): Promise<void>;
  /** Of clients of this ticket, right now. */
  connections(): Promise<number>;
  /** Ends the export; a raw file with what the disk holds now. */
  content(): Promise<string>;
  end(): Promise<void>;
  /** The storage behind the daemon goes away. */
  stopStorage(): Promise<void>;
}

export interface Stand {
  readonly options: Partial<ImageioOptions>;
  ticket(request: TicketRequest): Promise<StandTicket>;
  stop(): Promise<void>;
}
