import { perJob } from '../../panels/query.ts';

export const JOBS_BY_PHASE = `sum by (phase) (${perJob('fedbiot_job_phase', { by: ['phase'] })})`;

export const GPUS_BY_STATE = `sum by (state) (${perJob('fedbiot_gpus', { by: ['role', 'state'] })})`;

/** URL of the dashboard of the job in the row. */
const TO_JOB =
  '/d/fedbiot-job?var-datasource=${datasource}&var-namespace=${__data.fields.Namespace}&var-job=${__data.fields.Job}&${__url_time_range}';

export const toJob = { column: 'Job', title: 'The job’s dashboard', url: TO_JOB };

export const JOB_LABELS = { namespace: 'Namespace', job: 'Job' };
