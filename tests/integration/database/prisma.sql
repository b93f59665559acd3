-- The site's database, as Prisma's migrations make it; the tables that exports read, and one more.
CREATE TYPE "Role" AS ENUM ('STUDENT', 'ADMIN', 'STAFF', 'PENDING_STAFF');
CREATE TYPE "RevisionStatus" AS ENUM ('PENDING', 'APPROVED', 'REJECTED', 'AUTO_REJECTED', 'FLAGGED');
CREATE TYPE "ExportType" AS ENUM ('USER_DATA', 'WIKI_PAGES', 'MEMBERS', 'ANALYTICS');
CREATE TYPE "JobStatus" AS ENUM ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED');

CREATE TABLE "_prisma_migrations" (
    "id" VARCHAR(36) NOT NULL PRIMARY KEY, "checksum" VARCHAR(64) NOT NULL,
    "finished_at" TIMESTAMPTZ, "migration_name" VARCHAR(255) NOT NULL, "logs" TEXT,
    "rolled_back_at" TIMESTAMPTZ, "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(),
    "applied_steps_count" INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE "University" (
    "id" TEXT NOT NULL, "name" TEXT NOT NULL, "domains" TEXT[], "logo" TEXT,
    "approved" BOOLEAN NOT NULL DEFAULT false,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "University_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "User" (
    "id" TEXT NOT NULL, "email" TEXT NOT NULL, "name" TEXT, "bio" TEXT, "password" TEXT,
    "role" "Role" NOT NULL DEFAULT 'STUDENT', "referralCode" TEXT NOT NULL, "socialStats" JSONB,
    "powerScore" INTEGER NOT NULL DEFAULT 0, "emailVerified" TIMESTAMP(3),
    "verificationToken" TEXT, "verificationExpires" TIMESTAMP(3),
    "failedLoginAttempts" INTEGER NOT NULL DEFAULT 0, "lockedUntil" TIMESTAMP(3),
    "isPublicProfile" BOOLEAN NOT NULL DEFAULT false, "publicPersonId" TEXT,
    "universityId" TEXT, "secondaryUniversityId" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL, "favouriteColour" TEXT,
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "ExportJob" (
    "id" TEXT NOT NULL, "userId" TEXT NOT NULL, "type" "ExportType" NOT NULL,
    "status" "JobStatus" NOT NULL DEFAULT 'PENDING', "fileUrl" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "completedAt" TIMESTAMP(3),
    CONSTRAINT "ExportJob_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Badge" (
    "id" TEXT NOT NULL, "exportJobId" TEXT, CONSTRAINT "Badge_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
CREATE UNIQUE INDEX "User_referralCode_key" ON "User"("referralCode");
CREATE INDEX "ExportJob_userId_idx" ON "ExportJob"("userId");
ALTER TABLE "User" ADD CONSTRAINT "User_universityId_fkey" FOREIGN KEY ("universityId")
    REFERENCES "University"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "ExportJob" ADD CONSTRAINT "ExportJob_userId_fkey" FOREIGN KEY ("userId")
    REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Badge" ADD CONSTRAINT "Badge_exportJobId_fkey" FOREIGN KEY ("exportJobId")
    REFERENCES "ExportJob"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- Migrations of another program, by Alembic too.
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('0c0ffee');

INSERT INTO "University" ("id", "name", "updatedAt") VALUES ('cuni', 'Vigo', '2026-01-01');
INSERT INTO "User" ("id", "email", "referralCode", "universityId", "updatedAt")
    VALUES ('user_1', 'ann@example.org', 'code-1', 'cuni', '2026-01-01 10:00:00.123');
INSERT INTO "ExportJob" ("id", "userId", "type", "status", "fileUrl", "createdAt", "completedAt")
    VALUES ('cdone', 'user_1', 'MEMBERS', 'COMPLETED', 'https://files.example/1.csv',
            '2026-01-02 03:04:05.678', '2026-01-02 03:05:00.001');
INSERT INTO "Badge" VALUES ('cbadge', 'cdone');
